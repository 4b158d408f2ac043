# SPDX-License-Identifier: LGPL-2.1-or-later
count = 0
run lambda { |env|
  body = "version=#{RUBY_VERSION}\nserver=#{env['SERVER_SOFTWARE']}\ncount=#{count += 1}\n"
  parts = Enumerator.new do |out|
    out << body[0]
    sleep 1 if env['PATH_INFO'] == '/slow'
    out << body[1..]
  end
  [200, { 'Content-Length' => body.size.to_s }, parts]
}
