"""The curve explorer: stored paths, the views of one, and the widget around them."""
