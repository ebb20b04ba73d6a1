"""Due times: when a cron expression is due, a single time as people write it, and a text filled in for one."""
