"""Logs read again: files, topics, the publisher and the offline backfill."""
