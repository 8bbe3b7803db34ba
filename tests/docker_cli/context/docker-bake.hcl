variable "TAG" {
  default = "latest"
}

group "default" {
  targets = ["app"]
}

group "all" {
  targets = ["app", "tools"]
}

target "app" {
  tags = ["bake/app:${TAG}"]
  args = {
    VERSION = "baked"
  }
}

target "tools" {
  inherits   = ["app"]
  dockerfile = "Dockerfile.stages"
  tags       = ["bake/tools:${TAG}"]
}
