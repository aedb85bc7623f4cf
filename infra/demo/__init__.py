"""`matakite demo`: a real order history, then one day of a shop, played through the public endpoint."""
