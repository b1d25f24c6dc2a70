"""Pictures of hits and of units, and the page that shows both."""
