"""The ways a message leaves: one file per channel, all behind the same ledger and the same gate."""
