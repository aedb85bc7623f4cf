"""Links of messages: which are counted, where they lead, who followed them."""
