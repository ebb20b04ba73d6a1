"""What people glue together without Turnwright: Flask, Celery and a model client, as well as it can be done.

Promises nothing: a prompt whose worker is killed may be lost or answered twice. Configured by three variables:
BASELINE_STORE (unix:// of its Valkey), BRISK_BASE_URL (the model) and BASELINE_QUEUE.
"""
