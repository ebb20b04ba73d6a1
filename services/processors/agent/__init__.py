"""The agent: from inputs to turns, requests, tool calls and answers."""
