"""The models: one small protocol, the providers behind it, and the run of an LLM job."""
