"""The emulator process: MiniStack plus the patches that make it answer as AWS does."""
