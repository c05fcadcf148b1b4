// Package vmtest tests a lab of two nodes with virtual machines that run. Its
// tests need what a lab needs and take minutes, so that they are built only
// with the tag vm: make lab-test runs them. They fail where a lab cannot run.
package vmtest
