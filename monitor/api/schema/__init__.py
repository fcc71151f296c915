"""Contents of the OpenAPI document: request parameters, response bodies and the probes."""
