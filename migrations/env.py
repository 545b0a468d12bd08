"""Alembic's entry: runs the migrations on the connection that it is given, or writes them out as SQL."""

from alembic import context

from marketdata.store.tables import Row

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(dialect_name="postgresql", target_metadata=Row.metadata, literal_binds=True)
else:
    context.configure(connection=connection, target_metadata=Row.metadata)
with context.begin_transaction():
    context.run_migrations()
