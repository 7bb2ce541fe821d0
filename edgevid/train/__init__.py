"""Side room: training and data generation. Needs the extra ``train``; nothing at run time imports it."""
