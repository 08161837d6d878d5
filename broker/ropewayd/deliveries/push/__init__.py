"""Mobile push: notifications to telephones and other devices, by the service of whoever made them."""
