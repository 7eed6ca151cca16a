package files

const asNobody = "PODWAY_TEST_AS_NOBODY"
