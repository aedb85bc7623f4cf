"""The send ledger, the contact policy, channels, templates and what came back."""
