"""One local run, and what runs leave behind."""
