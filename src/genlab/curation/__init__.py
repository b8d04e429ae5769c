"""Curation: rules that turn raw files into a curated set, behind `genlab prepare`."""
