"""When services run: the Celery app, one thin task per kind, the relay beside each worker, the beat."""
