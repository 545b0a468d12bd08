"""PostgreSQL, and the only place that speaks SQL: settings, engine, tables, one repository module per aggregate."""
