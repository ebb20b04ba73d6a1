"""The durable session engine: streams, processors, jobs, outbox. Knows neither Celery nor Flask."""
