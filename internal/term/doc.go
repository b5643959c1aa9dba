// Package term prints for people at a terminal: tables, colours, times and numbers
// in the house's words, and JSON lines for programs.
//
// It owns how things look, and knows nothing of what they are: commands and the
// demo choose words and columns. Answers go to Out, talk goes to Err, so that a
// pipe carries answers only. Colour is for terminals that want it, and the word
// beside it says the same.
//
// Trust: names come from elsewhere. Tables take out the characters that could move
// a cursor or hide text; who prints a name by itself calls Clean.
package term
