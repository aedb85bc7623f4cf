"""Web and app tracking (アクセス計測): the Segment HTTP tracking API, so that a shop's existing SDK works unchanged."""
