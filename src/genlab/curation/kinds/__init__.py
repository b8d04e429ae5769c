"""What is curated: one file per kind of data, from a user's raw files to the curated ones."""
