"""Requests to the outside that can be stopped wherever they are blocked: what models and channels share."""
