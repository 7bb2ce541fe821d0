"""Level 3: frames and sound to observations: objects, classes, screen text, speech, sounds, cuts."""
