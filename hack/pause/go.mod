module pmem-memcached-e2e/hack/pause

go 1.26.0
