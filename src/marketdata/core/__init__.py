"""The canonical model and everything that knows exchanges; usable as a library without the services."""
