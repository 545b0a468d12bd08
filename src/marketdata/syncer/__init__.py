"""The syncer: keeps the stored metadata equal to what the exchanges list, by a pipeline of small steps and a loop."""
