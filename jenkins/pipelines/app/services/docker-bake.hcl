variable "REGISTRY" {
  default = "registry.example.com"
}

target "api" {
  context = "services/api"
  tags    = ["${REGISTRY}/team/api:1"]
}

target "web" {
  context = "services/web"
  tags    = ["${REGISTRY}/team/web:1"]
}
