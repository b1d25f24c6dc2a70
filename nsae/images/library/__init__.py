"""A folder of photos, and an index that is kept in step with it."""
