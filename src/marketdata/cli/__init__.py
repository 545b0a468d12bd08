"""The command `marketdata`: composes the services and prints; one module per group of commands."""
