"""Training of VisemeNet, the network from sound to mouth (docs/model_cards/viseme-net.md)."""
