"""料金計: what AWS would charge for calls that were counted, and what messages cost before they leave."""
