"""What goes into a message besides its words: products, recommendations, coupons (配信コンテンツ)."""
