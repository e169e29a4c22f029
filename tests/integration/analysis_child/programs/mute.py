"""Ends before its first word."""
