"""The channel `http`: a reply as a signed POST to the address its prompt named."""
