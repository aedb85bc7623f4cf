"""What people text back (SMS の返信)."""
