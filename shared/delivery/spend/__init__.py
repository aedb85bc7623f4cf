"""What was spent on channels that cost by the message, and the budget that stops them (予算)."""
