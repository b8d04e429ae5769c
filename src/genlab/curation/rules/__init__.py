"""By what is curated: one class per rule, each with a YAML in conf/rule."""
