"""The commands of `minires`, a file each: what it does, and its options."""
