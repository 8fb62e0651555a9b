"""Object stores by URL: one object read as a file, a prefix listed, a folder put. Nothing else knows their client."""
