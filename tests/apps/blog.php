<?php
// SPDX-License-Identifier: LGPL-2.1-or-later
// What WordPress does for a page: it connects to its database and asks for what it shows.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$database = new mysqli('localhost', 'www-data', '', 'blog', 0, getenv('BLOG_DATABASE'));
$database->query('create table if not exists posts (id int auto_increment primary key, title text) engine=InnoDB');
$database->execute_query('insert into posts (title) values (?)', [$_SERVER['REQUEST_URI']]);
$count = $database->query('select count(*) from posts')->fetch_row()[0];
header('Content-Type: text/plain');
echo 'php=', PHP_VERSION, "\ndatabase=", $database->server_info, "\ncount=$count\n";
