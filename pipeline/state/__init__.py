"""What a root remembers: its paths and lock, span records, pushed versions, journals."""
