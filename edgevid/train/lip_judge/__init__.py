"""A judge of lips against sound that shares no speaker, clip or architecture with VisemeNet."""
