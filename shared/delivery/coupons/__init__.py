"""Coupons of one's own: the book of codes, who was given which."""
