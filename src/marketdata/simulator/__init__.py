"""Three exchanges on one port over one seeded market: a product feature to test bots and this platform against."""
