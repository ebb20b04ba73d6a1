"""Webhooks kept on this host while the log store can not be reached, and taken there afterwards."""
