"""The local cloud: MiniStack with IAM enforced, running the synthesised templates on this machine."""
